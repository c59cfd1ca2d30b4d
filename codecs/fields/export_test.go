package fields

// Names is how many members there are, from 1 on.
const Names = attackOpens
