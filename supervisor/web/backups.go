package web

// backupScreens are the backups.
var backupScreens = []screen{}
