//! Kubernetes' quantities: `1000m` and `1` are the same.

/// Suffixes with their factors. Source: apimachinery's `resource.Quantity`.
const SUFFIXES: [(&str, f64); 16] = [
    ("Ki", 1024.0),
    ("Mi", 1_048_576.0),
    ("Gi", 1_073_741_824.0),
    ("Ti", 1_099_511_627_776.0),
    ("Pi", 1_125_899_906_842_624.0),
    ("Ei", 1_152_921_504_606_846_976.0),
    ("n", 1e-9),
    ("u", 1e-6),
    ("m", 1e-3),
    ("k", 1e3),
    ("M", 1e6),
    ("G", 1e9),
    ("T", 1e12),
    ("P", 1e15),
    ("E", 1e18),
    ("", 1.0),
];
/// Far below the difference of two quantities that people write.
const RELATIVE_ERROR: f64 = 1e-9;

/// True if both texts are quantities of the same value.
pub(super) fn are_equal(left: &str, right: &str) -> bool {
    match (value(left), value(right)) {
        (Some(left), Some(right)) => {
            (left - right).abs() <= RELATIVE_ERROR * left.abs().max(right.abs())
        }
        _ => false,
    }
}

fn value(text: &str) -> Option<f64> {
    for (suffix, factor) in SUFFIXES {
        let number = text.strip_suffix(suffix);
        // Rust reads words such as `inf` as numbers, too.
        let is_number = |number: &&str| number.ends_with(|end: char| end.is_ascii_digit());
        if let Some(number) = number.filter(is_number) {
            let value = number.parse::<f64>().ok()?;
            return Some(value * factor);
        }
    }
    None
}
