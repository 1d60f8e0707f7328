//! What must stay true of the whole box, a file per behaviour.

mod garbage;
mod logs;
mod recovery;
mod reflection;
mod startup;
