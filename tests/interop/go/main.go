// A token per line in; "ok SUBJECT" or "refused REASON" per line out. ISSUER, AUDIENCE, JWKS_MAX_AGE (seconds) and
// ALGORITHM are set; the argument names the library.
package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"signet.example/interop/withkeyfunc"
	"signet.example/interop/withoidc"
)

func main() {
	if err := run(context.Background(), os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, library string) error {
	subject, err := verifier(ctx, library)
	if err != nil {
		return err
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		sub, err := subject(lines.Text())
		if err != nil {
			fmt.Println("refused", strings.Join(strings.Fields(err.Error()), " "))
			continue
		}
		fmt.Println("ok", sub)
	}
	return lines.Err()
}

// verifier answers what answers the subject of a token.
func verifier(ctx context.Context, library string) (func(string) (string, error), error) {
	issuer, audience, algorithm := os.Getenv("ISSUER"), os.Getenv("AUDIENCE"), os.Getenv("ALGORITHM")
	seconds, err := strconv.Atoi(os.Getenv("JWKS_MAX_AGE"))
	if err != nil {
		return nil, err
	}
	maxAge := time.Duration(seconds) * time.Second
	switch library {
	case "keyfunc":
		verifier, err := withkeyfunc.New(ctx, issuer, audience, maxAge, algorithm)
		return func(token string) (string, error) {
			claims, err := verifier.Verify(ctx, token)
			if err != nil {
				return "", err
			}
			return claims.Subject, nil
		}, err
	case "go-oidc":
		verifier := withoidc.New(ctx, issuer, audience, maxAge, algorithm)
		return func(token string) (string, error) {
			claims, err := verifier.Verify(ctx, token)
			if err != nil {
				return "", err
			}
			return claims.Subject, nil
		}, nil
	}
	return nil, fmt.Errorf("no library is called %q", library)
}
