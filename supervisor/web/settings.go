package web

// settingsScreens are the settings, each group of which saves alone.
var settingsScreens = []screen{}
