//! Vectors as they are stored: 32-bit floats, little endian.
//!
//! They are compared one by one with the query. What a prefix holds is read in one go, and reading it takes longer than the
//! arithmetic; an index of neighbours would have to be kept beside the tables and would answer by approximation.

const WIDTH: usize = size_of::<f32>();
/// Sums that are kept apart, so that the compiler can add several at a time.
const LANES: usize = 8;

/// Numbers to bytes.
pub(crate) fn pack(numbers: &[f32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

/// Reverses [`pack`]; `None` for what it did not make.
pub(crate) fn unpack(bytes: &[u8]) -> Option<Vec<f32>> {
    let (numbers, rest) = bytes.as_chunks::<WIDTH>();
    rest.is_empty().then(|| numbers.iter().copied().map(f32::from_le_bytes).collect())
}

/// Cosine of two vectors of length 1; `None` if they have different dimensions.
pub(crate) fn similarity(a: &[u8], b: &[u8]) -> Option<f64> {
    if a.len() != b.len() || !a.len().is_multiple_of(WIDTH) {
        return None;
    }
    let number = |bytes: &[u8]| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    let mut sums = [0.0_f32; LANES];
    let (a_rows, b_rows) = (a.chunks_exact(LANES * WIDTH), b.chunks_exact(LANES * WIDTH));
    let rest = a_rows.remainder().chunks_exact(WIDTH).zip(b_rows.remainder().chunks_exact(WIDTH));
    let rest: f32 = rest.map(|(a, b)| number(a) * number(b)).sum();
    for (a, b) in a_rows.zip(b_rows) {
        for (lane, sum) in sums.iter_mut().enumerate() {
            let at = lane * WIDTH..(lane + 1) * WIDTH;
            *sum += number(&a[at.clone()]) * number(&b[at]);
        }
    }
    Some(f64::from(sums.iter().sum::<f32>() + rest))
}

#[cfg(test)]
mod tests {
    use super::{pack, similarity, unpack};

    #[track_caller]
    fn check(a: &[f32], b: &[f32], expected: Option<f64>) {
        assert_eq!(similarity(&pack(a), &pack(b)), expected, "{a:?} and {b:?}");
    }

    #[test]
    fn the_cosine_is_the_sum_of_products() {
        check(&[1.0, 0.0], &[1.0, 0.0], Some(1.0));
        check(&[1.0, 0.0], &[-1.0, 0.0], Some(-1.0));
        check(&[0.0, 0.0], &[1.0, 0.0], Some(0.0));
        let long: Vec<f32> = (0..19_u8).map(f32::from).collect();
        check(&long, &long, Some(2109.0));
    }

    #[test]
    fn numbers_come_back() {
        let numbers = [0.6, -0.8, f32::MIN_POSITIVE, 0.0];
        assert_eq!(unpack(&pack(&numbers)).as_deref(), Some(&numbers[..]));
        assert_eq!(unpack(&[1, 2, 3]), None);
    }

    #[test]
    fn vectors_of_other_dimensions_have_nothing_in_common() {
        check(&[1.0], &[1.0, 0.0], None);
        assert_eq!(similarity(&[1, 2, 3], &[1, 2, 3]), None);
    }
}
