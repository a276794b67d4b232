//! A backup put in the place of the database, and clocks that disagree.

mod adopt;
mod backup;
mod clocks;
