//! Our kernel against the `argon2` crate. `cargo bench -p signet-argon2id`; with C besides: `benches/with_c`.

mod contest;

fn main() {
    contest::run(&[]);
}
