// The one translation unit that holds the Vulkan entry points; they are filled in at run time.
#define VOLK_IMPLEMENTATION
#include <volk.h>
