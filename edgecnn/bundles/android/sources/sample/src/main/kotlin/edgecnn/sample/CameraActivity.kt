package edgecnn.sample

import android.Manifest
import android.os.Bundle
import android.view.Gravity
import android.widget.FrameLayout
import android.widget.TextView
import androidx.activity.ComponentActivity
import androidx.activity.result.contract.ActivityResultContracts
import androidx.camera.core.ImageProxy
import androidx.camera.view.LifecycleCameraController
import androidx.camera.view.PreviewView
import androidx.lifecycle.lifecycleScope
import edgecnn.classifier.EdgeClassifier
import edgecnn.classifier.Plane
import edgecnn.classifier.YuvFrame
import java.util.concurrent.Executors
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking

/** The camera's picture, and below it the most probable label of each frame. */
class CameraActivity : ComponentActivity() {
    private val worker = Executors.newSingleThreadExecutor()
    private lateinit var preview: PreviewView
    private lateinit var words: TextView
    private var classifier: EdgeClassifier? = null

    private val permission = registerForActivityResult(ActivityResultContracts.RequestPermission()) { granted ->
        if (granted) start() else words.text = "Allow the camera in the system's settings."
    }

    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        preview = PreviewView(this)
        words = TextView(this).apply { textSize = 24f }
        val wrap = FrameLayout.LayoutParams.WRAP_CONTENT
        setContentView(
            FrameLayout(this).apply {
                addView(preview)
                addView(words, FrameLayout.LayoutParams(wrap, wrap, Gravity.BOTTOM or Gravity.CENTER_HORIZONTAL))
            }
        )
        permission.launch(Manifest.permission.CAMERA)
    }

    private fun start() = lifecycleScope.launch {
        val loaded = EdgeClassifier.load(applicationContext).also { classifier = it }
        val camera = LifecycleCameraController(this@CameraActivity)
        camera.setImageAnalysisAnalyzer(worker) { frame -> frame.use { show(loaded, it) } }
        camera.bindToLifecycle(this@CameraActivity)
        preview.controller = camera
    }

    /** On the worker's thread; the camera keeps the latest frame meanwhile. */
    private fun show(classifier: EdgeClassifier, frame: ImageProxy) {
        val (luma, blue, red) = frame.planes.map { Plane(it.buffer, it.rowStride, it.pixelStride) }
        val image = YuvFrame(frame.height, frame.width, luma, blue, red)
        val best = runBlocking { classifier.classify(image, frame.imageInfo.rotationDegrees) }.first()
        runOnUiThread { words.text = "%s %.0f %%".format(best.label, 100 * best.probability) }
    }

    override fun onDestroy() {
        worker.execute { classifier?.close() } // after the frame that it is at
        worker.shutdown()
        super.onDestroy()
    }
}
