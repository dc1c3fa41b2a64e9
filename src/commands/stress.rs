use super::Outcome;
use crate::cli::StressArgs;
pub fn run(_args: &StressArgs) -> Outcome {
    anyhow::bail!("not yet")
}
