@file:Suppress("UNUSED_PARAMETER")

package androidx.test.runner.lifecycle

import android.app.Activity

enum class Stage { PRE_ON_CREATE, CREATED, STARTED, RESUMED, PAUSED, STOPPED, RESTARTED, DESTROYED }

enum class ApplicationStage { PRE_ON_CREATE, CREATED }

interface ActivityLifecycleCallback

interface ActivityLifecycleMonitor {
    fun addLifecycleCallback(callback: ActivityLifecycleCallback) {}

    fun removeLifecycleCallback(callback: ActivityLifecycleCallback) {}

    fun getLifecycleStageOf(activity: Activity): Stage = Stage.PRE_ON_CREATE

    fun getActivitiesInStage(stage: Stage): Collection<Activity> = emptyList()
}

interface ApplicationLifecycleMonitor

object ActivityLifecycleMonitorRegistry {
    private var own: ActivityLifecycleMonitor? = null

    @JvmStatic
    fun registerInstance(monitor: ActivityLifecycleMonitor?) {
        own = monitor
    }

    @JvmStatic
    fun getInstance(): ActivityLifecycleMonitor = checkNotNull(own)
}

object ApplicationLifecycleMonitorRegistry {
    @JvmStatic
    fun registerInstance(monitor: ApplicationLifecycleMonitor?) {}
}
