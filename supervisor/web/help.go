package web

// helpScreens tell more about a code; they are read without the network.
var helpScreens = []screen{}
