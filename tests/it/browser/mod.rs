//! The page in a real browser: what a scientist sees, clicks, types and hears.
//!
//! Each test needs `chromium` and `chromedriver`; those about accessibility also axe-core, whose `axe.min.js`
//! `SCTEC_TEST_AXE` names. With `SCTEC_TEST_PICTURES` the README's pictures are made in the folder that it names (they are in
//! `docs/pictures`). The page's modules that need no browser are tested by node, in `tests/page`.

mod arrival;
mod axe;
mod changes;
mod clocks;
mod contests;
mod crowd;
mod driver;
mod files;
mod fixture;
mod forged;
mod haste;
mod links;
mod looks;
mod mine;
mod names;
mod nginx;
mod night;
mod observatory;
mod office;
mod openings;
mod origins;
mod outages;
mod paper;
mod places;
mod proxy;
mod rivals;
mod sign_in;
mod signing;
mod slots;
mod sold;
mod spans;
mod take;
mod trouble;
mod week;
