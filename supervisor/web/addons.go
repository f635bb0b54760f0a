package web

// addonScreens are the store and the page of each add-on.
var addonScreens = []screen{}
