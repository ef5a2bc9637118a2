// OpenSSL's libcrypto as the distribution ships and patches it.
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
