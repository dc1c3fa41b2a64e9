//! Pictures of what a terminal shows.

use std::path::PathBuf;

/// The width of a cell in a picture.
const CELL_PX: usize = 9;

/// Saves a picture of a command and of what it showed on a terminal with this many columns, in the folder that
/// `SCTEC_TEST_PICTURES` names, if it is set.
pub fn picture(name: &str, columns: u16, command: &str, shown: &str) {
    let Some(folder) = std::env::var_os("SCTEC_TEST_PICTURES").map(PathBuf::from) else { return };
    let term = anstyle_svg::Term::new().min_width_px(usize::from(columns) * CELL_PX);
    std::fs::write(folder.join(format!("{name}.svg")), term.render_svg(&format!("$ {command}\n{shown}"))).unwrap();
}
