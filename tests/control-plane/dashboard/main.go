// Checks a Grafana dashboard from stdin with Grafana's own types: every key must be known, every required one be there.
// It prints the problems and ends with 1, or ends with 0.
package main

import (
	"fmt"
	"io"
	"os"

	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

func main() {
	// The types of panels and queries.
	plugins.RegisterDefaultPlugins()
	text, err := io.ReadAll(os.Stdin)
	exitOn(err)
	var read dashboard.Dashboard
	exitOn(read.UnmarshalJSONStrict(text))
	exitOn(read.Validate())
}

// The module's own errors may be a nil pointer behind the interface, so their text counts.
func exitOn(err error) {
	if err == nil {
		return
	}
	if said := err.Error(); said != "" {
		fmt.Println(said)
		os.Exit(1)
	}
}
