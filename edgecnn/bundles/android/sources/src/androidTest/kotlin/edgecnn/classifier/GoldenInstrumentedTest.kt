package edgecnn.classifier

import androidx.test.ext.junit.runners.AndroidJUnit4
import androidx.test.platform.app.InstrumentationRegistry
import kotlinx.coroutines.runBlocking
import org.junit.Assert.assertEquals
import org.junit.Test
import org.junit.runner.RunWith

/** The self-test on a device. */
@RunWith(AndroidJUnit4::class)
class GoldenInstrumentedTest {
    @Test
    fun theGoldenImagesGiveWhatTheyMust() = runBlocking {
        val context = InstrumentationRegistry.getInstrumentation().targetContext
        assertEquals(emptyList<String>(), EdgeClassifier.selfTest(context))
    }
}
