//! What must stay true of the whole box, a file per behaviour.

mod architecture;
