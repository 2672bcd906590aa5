//! The columns that every table of windows has.

/// When the window begins; its rows are in the folder of that hour.
pub const WINDOW_START: &str = "window_start";
/// When it ends; that instant is not in it.
pub const WINDOW_END: &str = "window_end";
/// How often the window was emitted before: of a window's rows, those with the highest revision stand.
pub const REVISION: &str = "revision";
