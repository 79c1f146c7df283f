#include "store/tables.h"
