//! What must stay true of the whole box, a file per behaviour.

mod architecture;
mod calls;
mod garbage;
mod launcher;
mod logs;
mod readme;
mod recovery;
mod reflection;
mod registry;
mod startup;
