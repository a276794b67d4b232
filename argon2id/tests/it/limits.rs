//! Lengths and costs outside the limits are errors.
