package web

// trustScreens are what was checked, what the ledger says, and forcing.
var trustScreens = []screen{}
