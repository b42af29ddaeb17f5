use super::{THREAD, check};
use crate::parse_uuid;

#[test]
fn uuids_are_taken_in_any_usual_form() {
    let plain = parse_uuid(THREAD);
    assert!(plain.is_some());
    for text in [
        THREAD.replace('-', ""),
        THREAD.to_uppercase(),
        format!("{{{THREAD}}}"),
        format!("urn:uuid:{THREAD}"),
    ] {
        assert_eq!(parse_uuid(&text), plain, "{text}");
    }
    for text in
        ["", "x", "2222", &THREAD[1..], &format!("{THREAD}2"), "ü2222222222222222222222222222222"]
    {
        assert_eq!(parse_uuid(text), None, "{text}");
    }
}

#[tokio::test]
async fn bad_ids_are_named() {
    check("GET /threads/x", "", 422, "Invalid thread ID: must be a UUID").await;
    check("GET /threads/{t}/runs/x", "", 422, "Invalid run ID: must be a UUID").await;
    check("GET /assistants/agent", "", 422, "Invalid assistant ID: must be a UUID").await;
    check("GET /assistants/agent/graph", "", 501, "get_assistant_graph").await;
    check("DELETE /runs/crons/x", "", 422, "Invalid cron ID: must be a UUID").await;
    let creation = r#"{"assistant_id":"agent"}"#;
    for path in ["runs", "runs/stream", "runs/wait"] {
        check(&format!("POST /threads/x/{path}"), creation, 422, "Invalid thread ID").await;
    }
}

#[tokio::test]
async fn paths_are_decoded() {
    let request = "GET /assistants/{t}/subgraphs/sub%7Ci2";
    let detail = r#"namespace: "sub|i2""#;
    let answer = super::send(&request.replace("{t}", THREAD), "").await;
    assert!(answer.detail().contains(detail), "{}", answer.text);
    check("GET /assistants/%ff", "", 422, "Invalid path: not UTF-8").await;
}

#[tokio::test]
async fn integers_are_read_or_refused() {
    check("GET /threads/{t}/history?limit=abc", "", 422, "Invalid limit abc").await;
    check(
        "GET /threads/{t}/runs?limit=abc",
        "",
        422,
        "invalid literal for int() with base 10: 'abc'",
    )
    .await;
    check("GET /ok?check_db=x", "", 400, "invalid literal for int() with base 10: 'x'").await;
    let answer = super::send("GET /ok?check_db=%2B1", "").await;
    assert!(answer.detail().contains("check_db: Some(1)"), "{}", answer.text);
}

#[tokio::test]
async fn repeated_keys_are_lists_and_the_last_counts_elsewhere() {
    let request =
        format!("GET /threads/{THREAD}/runs?select=run_id&select=status&status=a&status=b+c");
    let answer = super::send(&request, "").await;
    assert!(answer.detail().contains(r#"select: ["run_id", "status"]"#), "{}", answer.text);
    assert!(answer.detail().contains(r#"status: Some("b c")"#), "{}", answer.text);
    check(
        "GET /threads/{t}/runs?select=x&select=run_id&select=y",
        "",
        422,
        "Invalid select columns: ['x', 'y']. Expected: {'run_id',",
    )
    .await;
}

#[tokio::test]
async fn flags_are_true_for_the_documented_texts_only() {
    for (text, expected) in [
        ("=true", "Some(true)"),
        ("=True", "Some(true)"),
        ("=1", "Some(false)"),
        ("", "Some(false)"),
    ] {
        let answer = super::send(&format!("GET /threads/{THREAD}/state?subgraphs{text}"), "").await;
        assert!(answer.detail().contains(&format!("subgraphs: {expected}")), "{}", answer.text);
    }
}
