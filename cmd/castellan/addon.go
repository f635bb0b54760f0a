package main

import "github.com/spf13/cobra"

func addonCommand(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "addon",
		Aliases: []string{"addons", "apps"}, // as the ha command says
		Short:   "Home Assistant's add-ons",
		Args:    onlyCommands,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(addonLintCommand(o))
	cmd.AddCommand(addonCommands(o)...)
	return cmd
}
