package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/castellan/castellan/supervisor/api"
)

func trustCommand(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "trust",
		Short: "Decide where the ledger cannot",
		Args:  onlyCommands,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(forceCommand(o), unforceCommand(o), overridesCommand(o), ledgersCommand(o), publishersCommand(o), trustVerifyCommand(o),
		pinsCommand(o), forgetCommand(o), reinitCommand(), houseCommand(o))
	return cmd
}

func forceCommand(o *options) *cobra.Command {
	var req api.ForceRequest
	cmd := &cobra.Command{
		Use:   "force NAME --why TEXT",
		Short: "Let one refused or deferred image in, once; it is logged",
		Long: "Permits one update of NAME to the image whose digest was refused or deferred last, for the reasons it was " +
			"refused for and no other. The permission is used once and ends after 15 minutes. For dangerous reasons the name " +
			"must be typed again with --confirm. The verification log keeps who, why and what.",
		Args: argsRange(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			req.Service = args[0]
			if req.Why == "" {
				return usage(fmt.Errorf("--why is missing: say why this image may run although the ledger does not vouch for it"),
					"castellan trust force "+args[0]+` --why "…"`)
			}
			ov, err := o.client().Force(cmd.Context(), req)
			if err != nil {
				return err
			}
			if o.json {
				return printJSON(cmd.OutOrStdout(), ov)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s %s (%.19s…) may be let in once in spite of %v, until %s; verification log record %d\n",
				ov.Service, ov.Version, ov.Digest, ov.Reasons, ov.Expires.Local().Format(time.TimeOnly), ov.Seq)
			fmt.Fprintf(cmd.OutOrStdout(), "Next: castellan update %s\n", ov.Service)
			return nil
		},
	}
	cmd.Flags().StringVar(&req.Why, "why", "", "why, for the log (needed)")
	cmd.Flags().StringVar(&req.Digest, "digest", "", "manifest digest (default: of the last refused or deferred change)")
	cmd.Flags().StringSliceVar(&req.Reasons, "reason", nil, "reason codes to allow (default: those of the last refusal)")
	cmd.Flags().StringVar(&req.Confirm, "confirm", "", "the service's name again, for dangerous reasons")
	return cmd
}
