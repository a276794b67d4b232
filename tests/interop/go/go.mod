module signet.example/interop

go 1.24.0

require (
	github.com/MicahParks/keyfunc/v3 v3.7.0
	github.com/coreos/go-oidc/v3 v3.17.0
	github.com/golang-jwt/jwt/v5 v5.3.1
	golang.org/x/time v0.9.0
)

require (
	github.com/MicahParks/jwkset v0.11.0 // indirect
	github.com/go-jose/go-jose/v4 v4.1.3 // indirect
	golang.org/x/oauth2 v0.28.0 // indirect
)
