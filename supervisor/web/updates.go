package web

// updateScreens are what waits, what is held, and what was.
var updateScreens = []screen{}
