#pragma once

#include <libpq-fe.h>

// libpq's field codes are character macros, which Swift does not import.
static const int EBB_DIAG_SEVERITY_NONLOCALIZED = PG_DIAG_SEVERITY_NONLOCALIZED;
static const int EBB_DIAG_SQLSTATE = PG_DIAG_SQLSTATE;
static const int EBB_DIAG_MESSAGE_PRIMARY = PG_DIAG_MESSAGE_PRIMARY;
static const int EBB_DIAG_MESSAGE_DETAIL = PG_DIAG_MESSAGE_DETAIL;
static const int EBB_DIAG_MESSAGE_HINT = PG_DIAG_MESSAGE_HINT;
static const int EBB_DIAG_CONSTRAINT_NAME = PG_DIAG_CONSTRAINT_NAME;
