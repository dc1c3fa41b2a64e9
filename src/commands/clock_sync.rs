use super::Outcome;
use crate::cli::ClockSyncArgs;
pub fn run(_args: &ClockSyncArgs) -> Outcome {
    anyhow::bail!("not yet")
}
