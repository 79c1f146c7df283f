#include <stdio.h>
int main(void)
{
	printf("stint %s\n", STINT_VERSION);
	return 0;
}
