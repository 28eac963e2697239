// What Robolectric takes of androidx.test, as far as tests without activities need it: Maven Central does not have it.
package androidx.test.platform.app

import android.app.Instrumentation
import android.os.Bundle

object InstrumentationRegistry {
    private var own: Instrumentation? = null

    @JvmStatic
    fun registerInstance(instrumentation: Instrumentation?, @Suppress("UNUSED_PARAMETER") arguments: Bundle?) {
        own = instrumentation
    }

    @JvmStatic
    fun getInstrumentation(): Instrumentation = checkNotNull(own)
}
