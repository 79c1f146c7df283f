#include "sign/acs3.h"
