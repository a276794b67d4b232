import jwt
from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

ISSUER = "http://127.0.0.1:8080"
KEYS = jwt.PyJWKClient(f"{ISSUER}/.well-known/jwks.json")

app = FastAPI()
bearer = HTTPBearer()


def verify_token(credentials: HTTPAuthorizationCredentials = Depends(bearer)) -> dict:
    token = credentials.credentials
    try:
        key = KEYS.get_signing_key_from_jwt(token).key
        return jwt.decode(token, key, algorithms=["RS256"], issuer=ISSUER, audience=ISSUER)
    except jwt.PyJWTError:
        raise HTTPException(status_code=401, detail="Invalid token")


@app.get("/protected")
def protected(claims: dict = Depends(verify_token)) -> dict:
    return {"message": f"Hello, {claims['sub']}"}
