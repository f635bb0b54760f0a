package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// checkWithin is how long Core may take to look at its configuration: on a small appliance that is minutes.
const checkWithin = 5 * time.Minute

// lookCommand is how Home Assistant looks at its own configuration; it ends with 0 when all is well.
var lookCommand = []string{"python3", "-m", "homeassistant", "--config", "/config", "--script", "check_config"}

// What engines give for the exit code of a command that they could not start.
const (
	notRunnable = 126
	notThere    = 127
)

// Check implements api.CoreOutput. Nothing can end a look that was begun, so there is one at a time.
func (c coreView) Check(ctx context.Context) (string, error) {
	if !c.checking.TryLock() {
		return "", errors.New("cannot check the configuration of Home Assistant Core: a check runs already; ask again when it is over")
	}
	defer c.checking.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), checkWithin) // also when the caller leaves: the look goes on
	defer cancel()
	list, err := c.engine.List(ctx, c.service.Name)
	if err != nil {
		return "", err
	}
	for _, k := range list {
		if !k.Running {
			continue
		}
		exit, output, err := c.engine.Exec(ctx, k.ID, lookCommand)
		found := checkFound(exit, output)
		if err == nil && (exit == notThere || exit == notRunnable) {
			err = errors.New(found)
		}
		if err != nil {
			return "", fmt.Errorf("cannot check the configuration of Home Assistant Core: %w", err)
		}
		return found, nil
	}
	return "", errors.New("cannot check the configuration of Home Assistant Core: it does not run; start it first")
}

// escapes are the sequences with which programs move and colour on a terminal.
var escapes = regexp.MustCompile("\x1b\\[[0-9;?]*[A-Za-z]")

// checkFound is what a look found, without the colours of a terminal; "" = nothing.
func checkFound(exit int, output []byte) string {
	if exit == 0 {
		return ""
	}
	if text := strings.TrimSpace(escapes.ReplaceAllString(string(output), "")); text != "" {
		return text
	}
	return fmt.Sprintf("the check of the configuration ended with %d and said nothing", exit)
}
