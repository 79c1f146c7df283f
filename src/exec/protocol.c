#include "exec/protocol.h"
