//! Items of the store: written and read while there are few, and among a million.

use anyhow::{Result, ensure};
use serde_json::json;

use crate::{
    http::{Connection, request},
    load,
    scenario::{CONNECTIONS, Effort, Figures, median_ms, run_request},
    target::Target,
};

/// Items of the filled store, in namespaces of so many.
const ITEMS: usize = 1_000_000;
const EACH: usize = 5_000;
/// Different items that are written and read.
const NAMES: usize = 1000;

/// Measures a server; our own once more when it is full.
pub(crate) async fn measure(target: &Target, effort: Effort, figures: &mut Figures) -> Result<()> {
    [figures.store_put, figures.store_get] = put_and_get(target, effort).await?;
    if !target.is_ours {
        return Ok(());
    }
    fill(target).await?;
    [figures.store_put_full, figures.store_get_full] = put_and_get(target, effort).await?;
    let mut prefix = 0;
    let mut times = vec![];
    for _ in 0..effort.rounds {
        prefix = (prefix + 7) % (ITEMS / EACH);
        let body = json!({
            "namespace_prefix": ["filled", format!("n{prefix}")],
            "filter": {"kind": 3, "n": {"$gte": prefix}},
        });
        let search = || request("POST", "/store/items/search", Some(&body.to_string()));
        times.push(median_ms(target, 1, search).await?);
    }
    times.sort_unstable_by(f64::total_cmp);
    figures.store_search_ms = times[times.len() / 2];
    Ok(())
}

/// Writes and reads per second.
async fn put_and_get(target: &Target, effort: Effort) -> Result<[f64; 2]> {
    let put = |number| {
        let value = json!({"text": "what a user once said", "kind": number % 10, "n": number});
        let body =
            json!({"namespace": ["bench", "items"], "key": format!("k{number}"), "value": value});
        request("PUT", "/store/items", Some(&body.to_string()))
    };
    let get =
        |number| request("GET", &format!("/store/items?namespace=bench.items&key=k{number}"), None);
    let puts: Vec<_> = (0..NAMES).map(put).collect();
    load::each(target.address, CONNECTIONS, puts.clone()).await?;
    let puts = load::run(target.address, CONNECTIONS, effort.load, puts).await?;
    let gets = load::run(target.address, CONNECTIONS, effort.load, (0..NAMES).map(get).collect());
    Ok([puts.per_second, gets.await?.per_second])
}

/// Has a graph write everything, in large batches.
async fn fill(target: &Target) -> Result<()> {
    let input = json!({"items": ITEMS, "each": EACH});
    let mut connection = Connection::open(target.address).await?;
    let answer = connection.call(&run_request("wait", "fill", &input, "values")).await?;
    ensure!(answer.json()?["items"] == ITEMS, "odd answer: {}", answer.json()?);
    Ok(())
}
