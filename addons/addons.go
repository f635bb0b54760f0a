// Package addons reads Home Assistant's add-ons: what an author writes into config.yaml ([Manifest]), what an owner
// writes into the options ([Schema]), what an add-on may reach ([Rights], [Manifest.Rating]), and the container that
// follows from the three ([Manifest.Container]). It follows Home Assistant's Supervisor as of August 2026; where the
// Supervisor loses or guesses (a version read as a number, a translation in the wrong shape), this package says so.
//
// # Threat model
//
// A repository is somebody else's folder: every byte of it is hostile. What is read is bounded in size, depth and
// number before it is believed; an add-on that cannot be read is skipped by its reason and harms no other. A manifest
// asks for rights and never grants any: what it may do is what its owner agreed to, and whether its image may come in
// is the Judge's word, never a key of a file.
//
// The package decides nothing about what is newest, runs nothing and writes nothing.
package addons
