//! Many requests at one instant, and what came of them.
