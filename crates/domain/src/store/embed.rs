//! Vectors for search by meaning. The project's function makes them, in a worker; what is written is checked here.
//!
//! Source: reference/assistants-crons-store-system.md, 3.6.

use std::collections::HashMap;

use agent_server_storage::store::Vector;

use crate::{
    Domain, Error, Result,
    ports::{EmbedOrder, StoreIndex, StoreOp},
};

/// What is embedded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    /// Dimensions of every vector.
    pub dims: usize,
    /// Paths in a value whose texts are embedded where a put names none.
    pub fields: Vec<String>,
}

/// Vectors for a batch, by the place of the operation in it.
#[derive(Default)]
pub(super) struct Vectors {
    /// For puts.
    pub(super) values: HashMap<usize, Vec<Vector>>,
    /// For searches.
    pub(super) queries: HashMap<usize, Vec<f32>>,
}

impl Domain {
    /// Has everything embedded that a batch needs, in one go.
    pub(super) async fn embedded(&self, ops: &[StoreOp]) -> Result<Vectors> {
        let Some(index) = &self.0.options.store.index else { return Ok(Vectors::default()) };
        let (mut order, mut puts, mut searches) = (EmbedOrder::default(), vec![], vec![]);
        for (at, op) in ops.iter().enumerate() {
            match op {
                StoreOp::Put { value: Some(value), index: what, .. } => {
                    let paths = match what {
                        StoreIndex::Configured => &index.fields,
                        StoreIndex::Paths(paths) => paths,
                        StoreIndex::Nothing => continue,
                    };
                    if !paths.is_empty() {
                        order.values.push((value.clone(), paths.clone()));
                        puts.push(at);
                    }
                }
                StoreOp::Search { query: Some(query), .. } if !query.is_empty() => {
                    order.queries.push(query.clone());
                    searches.push(at);
                }
                _ => {}
            }
        }
        if puts.is_empty() && searches.is_empty() {
            return Ok(Vectors::default());
        }
        let embedded = self.host().embed(&order).await?.ok_or_else(|| {
            Error::Unavailable(
                "no worker of this server can embed: it has no graph in Python".into(),
            )
        })?;
        if (embedded.values.len(), embedded.queries.len()) != (puts.len(), searches.len()) {
            return Err(Error::Internal("a worker embedded something else than was asked".into()));
        }
        let vector = |(path, numbers): (String, Vec<f64>)| {
            Ok(Vector { path, numbers: normal(&numbers, index.dims)? })
        };
        let mut vectors = Vectors::default();
        for (at, found) in puts.into_iter().zip(embedded.values) {
            vectors.values.insert(at, found.into_iter().map(vector).collect::<Result<_>>()?);
        }
        for (at, found) in searches.into_iter().zip(embedded.queries) {
            vectors.queries.insert(at, normal(&found, index.dims)?);
        }
        Ok(vectors)
    }
}

/// A vector of length 1, so that the cosine of two is the sum of their products; one without direction is all zero.
fn normal(numbers: &[f64], dims: usize) -> Result<Vec<f32>> {
    if numbers.len() != dims {
        return Err(Error::Unavailable(format!(
            "store.index.embed returned a vector of {} numbers, but store.index.dims is {dims}",
            numbers.len()
        )));
    }
    let largest = numbers.iter().fold(0.0_f64, |largest, number| largest.max(number.abs()));
    if largest == 0.0 {
        return Ok(vec![0.0; dims]);
    }
    // By the largest first: squares of numbers that are large or small alone would not fit.
    let length = numbers.iter().map(|number| (number / largest).powi(2)).sum::<f64>().sqrt();
    Ok(numbers.iter().map(|number| (number / largest / length) as f32).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_have_length_1() {
        assert_eq!(normal(&[3.0, 4.0], 2).unwrap(), [0.6, 0.8]);
        assert_eq!(normal(&[3e300, -4e300], 2).unwrap(), [0.6, -0.8]);
        assert_eq!(normal(&[0.0, 0.0], 2).unwrap(), [0.0, 0.0]);
    }

    #[test]
    fn another_number_of_dimensions_is_refused() {
        let error = normal(&[1.0], 2).unwrap_err();
        assert_eq!(
            error.to_string(),
            "store.index.embed returned a vector of 1 numbers, but store.index.dims is 2"
        );
    }
}
