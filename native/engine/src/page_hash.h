// A number for the content of a page, which two different contents share with a probability below 2^-63, whoever chose them: a universal
// hash with a key that this process draws and nobody else knows (NH, of Black, Halevi, Krawczyk, Krovetz and Rogaway, "UMAC", 1999, here
// with words of 64 bits). It takes the processor little longer than reading the page. No effects.
#pragma once

#include "copied_memory.h"

namespace drover {

using PageHash = unsigned __int128;

PageHash hashPage(const char* page);

}  // namespace drover
