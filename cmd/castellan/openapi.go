package main

import (
	"github.com/spf13/cobra"

	"github.com/castellan/castellan/supervisor/api"
)

func openapiCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "openapi",
		Short: "Print the description of the API, OpenAPI 3.1 as JSON",
		Args:  argsRange(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			b, err := api.OpenAPI(version)
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(b)
			return err
		},
	}
}
