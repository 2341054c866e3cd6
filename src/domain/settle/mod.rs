//! What becomes of a merged update: pure, fed with what was seen, in the order in which it was seen.
//!
//! Lines come in ([`line`]), live from the cluster or from a recording; they make a world ([`world`]); the judge
//! looks at the world as time goes on and says a verdict and an action whenever either changes ([`verdict`]).

pub mod finding;
pub mod kind;
pub mod line;
pub mod object;
pub mod record;
pub mod verdict;
