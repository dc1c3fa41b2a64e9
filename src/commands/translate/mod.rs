//! The command line in the language of the process: the texts of clap's commands ([`help`]) and clap's errors ([`wrong`]).
//!
//! Help texts are written in English, as doc comments of the arguments. In Portuguese, each line of them is replaced by its
//! translation from the catalogues, and the words of clap itself (headings, defaults, errors) too.

pub mod help;
pub mod wrong;
