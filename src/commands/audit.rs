use super::Outcome;
use crate::cli::AuditArgs;
pub fn run(_args: &AuditArgs) -> Outcome {
    anyhow::bail!("not yet")
}
