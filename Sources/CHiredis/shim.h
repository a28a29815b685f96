#pragma once

#include <hiredis/hiredis.h>
#include <stdio.h>

// TLS came with hiredis 1.0, in a library of its own. That library is loaded at run time, so that no link flag depends on
// the machine this is built on. Debian 12 has hiredis 0.14: there, only the "unavailable" half is compiled.

#if __has_include(<hiredis/hiredis_ssl.h>)

#include <dlfcn.h>
#include <hiredis/hiredis_ssl.h>

#define EBB_TEXT_OF(name) #name
#define EBB_TEXT(name) EBB_TEXT_OF(name)

/// The library of the same version as the hiredis this was compiled against; they share the layout of redisContext.
static inline void *ebb_redis_tls_library(void) {
    void *library = dlopen("libhiredis_ssl.so." EBB_TEXT(HIREDIS_SONAME), RTLD_NOW | RTLD_GLOBAL);
    return library ? library : dlopen("libhiredis_ssl.so", RTLD_NOW | RTLD_GLOBAL);
}

static inline int ebb_redis_has_tls(void) { return ebb_redis_tls_library() != NULL; }

/// Turns a fresh connection into a TLS one, checked against the system's certificates and `server_name`.
///
/// OpenSSL is called directly, through the symbols hiredis_ssl brings along, because hiredis's own set-up never compares
/// the certificate's name with the server's. No test covers this, as the tests' machine has hiredis 0.14; it was tried by
/// hand with hiredis 1.5.0-dev: a good certificate, a wrong name and an unknown issuer.
///
/// Returns REDIS_OK, or REDIS_ERR with a sentence in `error`.
static inline int ebb_redis_start_tls(redisContext *context, const char *server_name, char *error, size_t size) {
    void *library = ebb_redis_tls_library();
    if (!library) {
        snprintf(error, size, "libhiredis_ssl cannot be loaded");
        return REDIS_ERR;
    }
    const void *(*client_method)(void) = (const void *(*)(void))dlsym(library, "TLS_client_method");
    void *(*new_settings)(const void *) = (void *(*)(const void *))dlsym(library, "SSL_CTX_new");
    void (*free_settings)(void *) = (void (*)(void *))dlsym(library, "SSL_CTX_free");
    int (*use_system_certificates)(void *) = (int (*)(void *))dlsym(library, "SSL_CTX_set_default_verify_paths");
    void (*set_verify)(void *, int, void *) = (void (*)(void *, int, void *))dlsym(library, "SSL_CTX_set_verify");
    void *(*new_session)(void *) = (void *(*)(void *))dlsym(library, "SSL_new");
    void (*free_session)(void *) = (void (*)(void *))dlsym(library, "SSL_free");
    int (*expect_name)(void *, const char *) = (int (*)(void *, const char *))dlsym(library, "SSL_set1_host");
    long (*control)(void *, int, long, void *) = (long (*)(void *, int, long, void *))dlsym(library, "SSL_ctrl");
    int (*start)(redisContext *, void *) = (int (*)(redisContext *, void *))dlsym(library, "redisInitiateSSL");
    if (!client_method || !new_settings || !free_settings || !use_system_certificates || !set_verify || !new_session ||
        !free_session || !expect_name || !control || !start) {
        snprintf(error, size, "libhiredis_ssl or its OpenSSL lacks a function");
        return REDIS_ERR;
    }

    void *settings = new_settings(client_method());
    if (!settings || use_system_certificates(settings) != 1) {
        if (settings) free_settings(settings);
        snprintf(error, size, "the system's certificates cannot be read");
        return REDIS_ERR;
    }
    set_verify(settings, 1 /* SSL_VERIFY_PEER */, NULL);
    void *session = new_session(settings);
    free_settings(settings);  // the session holds its own reference
    // 55 is SSL_CTRL_SET_TLSEXT_HOSTNAME, a macro in OpenSSL: the name for servers that hold several certificates.
    if (!session || expect_name(session, server_name) != 1 || control(session, 55, 0, (void *)server_name) != 1) {
        if (session) free_session(session);
        snprintf(error, size, "the server's name cannot be used for TLS");
        return REDIS_ERR;
    }
    if (start(context, session) != REDIS_OK) {
        free_session(session);  // hiredis takes the session over only when the handshake succeeds
        snprintf(error, size, "%s", context->errstr[0] ? context->errstr : "the TLS handshake failed");
        return REDIS_ERR;
    }
    return REDIS_OK;
}

#else

static inline int ebb_redis_has_tls(void) { return 0; }

static inline int ebb_redis_start_tls(redisContext *context, const char *server_name, char *error, size_t size) {
    (void)context;
    (void)server_name;
    snprintf(error, size, "this hiredis has no TLS");
    return REDIS_ERR;
}

#endif
