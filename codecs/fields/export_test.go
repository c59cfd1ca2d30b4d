package fields

// Names is how many there are.
const Names = names
