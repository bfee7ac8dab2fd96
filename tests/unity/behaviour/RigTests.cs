using System.Linq;
using Fakes;
using NUnit.Framework;
using UnityEngine;

namespace Llia.Tests
{
    [TestFixture]
    internal sealed class RigTests : Scene
    {
        private static SkinnedMeshRenderer Rig(params string[] shapes)
        {
            var skin = new GameObject("rig").AddComponent<SkinnedMeshRenderer>();
            skin.sharedMesh = new Mesh();
            foreach (var shape in shapes)
            {
                skin.sharedMesh.AddBlendShapeFrame(shape, 100, null, null, null);
            }
            return skin;
        }

        [Test]
        public void ShapesAreDrivenByArkitsNamesHoweverTheyAreWritten()
        {
            var avatar = OpenAvatar(false);
            var skin = Rig("smile", "Face.jawOpen", "eyeBlink_L", "Brow_Inner_Up");
            Assert.IsFalse(Daemon.HasTopic("blendshapes/a"), "faces cost nothing while nobody uses them");
            var shapes = On<LliaBlendshapes>(skin.gameObject, made =>
            {
                made.Avatar = avatar;
                made.Strength = 0.5f;
            });
            Until(() => Daemon.HasTopic("blendshapes/a"), "subscribed");
            Daemon.Face(640, 0.8);
            Until(() => skin.Weights.Count == 3, "driven");
            Assert.AreEqual(40f, skin.Weights[1], 1e-4);
            Assert.AreEqual(40f, skin.Weights[2], 1e-4);
            Assert.AreEqual(40f, skin.Weights[3], 1e-4);
            Assert.AreEqual(3, shapes.DrivenShapes);
            shapes.enabled = false;
            Assert.IsTrue(skin.Weights.Values.All(weight => weight == 0f));
            Until(() => !Daemon.HasTopic("blendshapes/a"), "left");
        }

        [Test]
        public void TheHeadTurnsToTheAvatarsLeft()
        {
            var avatar = OpenAvatar(false);
            var head = new GameObject("head").transform;
            var skin = Rig("jawOpen");
            On<LliaBlendshapes>(skin.gameObject, made =>
            {
                made.Avatar = avatar;
                made.Head = head;
            });
            Until(() => Daemon.HasTopic("blendshapes/a"), "subscribed");
            Daemon.Face(640, 0.5); // yaw 1 degree
            Until(() => skin.Weights.Count > 0, "driven");
            var looks = head.localRotation * Vector3.forward;
            Assert.AreEqual(-System.Math.Sin(System.Math.PI / 180), looks.x, 1e-5, "the left of who looks along z is -x");
            Assert.AreEqual(0, looks.y, 1e-5);
        }

        [Test]
        public void WithoutAMeshItTellsWhatIsMissing()
        {
            Make<LliaBlendshapes>("lonely", made => { });
            Assert.IsTrue(Engine.Log.Any(line => line.Contains("need an avatar and a SkinnedMeshRenderer")));
            Engine.Step(0);
        }
    }
}
