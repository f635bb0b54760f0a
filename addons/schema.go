package addons

// Schema is the options language of Home Assistant.
type Schema struct{}
