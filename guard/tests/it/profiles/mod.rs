//! Tokens of other issuers, under the profile that is for them: read right, and nothing else let in.

mod deputy;
mod forms;
mod reading;
